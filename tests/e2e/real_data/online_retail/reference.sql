CREATE TABLE judged AS
SELECT *, epoch_us(timezone('Europe/London', invoice_ts)) AS t, list_filter([
    CASE WHEN NOT regexp_full_match(invoice_no, 'C?[0-9]{6}') THEN 'invoice_no matches C?\d{6}' END,
    CASE WHEN NOT regexp_full_match(stock_code, '[0-9]{5}[A-Za-z]{0,2}')
        THEN 'stock_code matches \d{5}[A-Za-z]{0,2}' END,
    CASE WHEN description IS NULL THEN 'description: null' END,
    CASE WHEN country IS NULL THEN 'country: null' END,
    CASE WHEN quantity NOT BETWEEN -5000 AND 5000 THEN 'quantity between -5000 and 5000' END,
    CASE WHEN unit_price_gbp NOT BETWEEN 0 AND 1000 THEN 'unit_price_gbp between 0 and 1000' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM raw;

-- Lines of one minute are in the order of the columns that identify them.
CREATE TABLE kept AS
SELECT *, t AS k, row_number() OVER (ORDER BY t, invoice_no, stock_code, quantity, unit_price_gbp) AS place,
    round(quantity * unit_price_gbp * 100)::BIGINT AS pence
FROM judged WHERE len(reasons) = 0
QUALIFY row_number() OVER (PARTITION BY invoice_no, stock_code, quantity, unit_price_gbp ORDER BY rn) = 1;

CREATE TABLE labels AS
WITH picked AS (
    SELECT *, row_number() OVER (ORDER BY shuffled(rn), rn) - 1 AS label FROM kept
    QUALIFY label < getvariable('n_labels')
), timed AS (
    SELECT *, CASE label % 10
        WHEN 0 THEN k
        WHEN 1 THEN k + 1
        WHEN 2 THEN floor_to(t, days(1)) + days(91)
        WHEN 3 THEN floor_to(t, days(1)) + days(91) - 1
        WHEN 4 THEN floor_to(t, days(7), moved := days(4)) + days(7) * (1 + shuffled(rn) % 2)
        WHEN 5 THEN floor_to(t, minutes(15)) + minutes(15) + shuffled(rn) % 2 - 1
        WHEN 6 THEN t + days(180)
        WHEN 7 THEN t + days(180) + 1
        WHEN 8 THEN t + shuffled(rn * 7) % hours(1100)
        ELSE t - shuffled(rn * 7) % hours(1100)
    END AS at_us
    FROM picked
)
SELECT label, least(greatest(at_us, (SELECT floor_to(min(k), days(1)) FROM kept)), getvariable('end_at') - 1) AS at_us,
    customer_id, stock_code
FROM timed;

CREATE TABLE customer_value AS
SELECT label,
    sum(pence)::BIGINT AS pence,
    coalesce(sum(pence) FILTER (in_sliding(t, at_us, days(90), days(1))), 0)::BIGINT AS pence_90d,
    avg(pence) AS pence_mean,
    stddev_samp(pence) AS pence_stddev,
    count(*) AS lines,
    count(*) FILTER (quantity < 0) AS "returns",
    count(DISTINCT invoice_no) FILTER (quantity > 0) AS orders,
    count(DISTINCT invoice_no) FILTER (in_sliding(t, at_us, days(90), days(1))) AS orders_90d,
    count(DISTINCT r.stock_code) AS products_approx,
    CASE WHEN at_us - max(t) <= days(180) THEN arg_max_null(country, place) END AS last_country,
    CASE WHEN at_us - max(t) <= days(180) THEN arg_max_null(r.stock_code, place) END AS last_product,
    arg_min_null(r.stock_code, place) AS first_product,
    CASE WHEN at_us - max(t) <= days(180) THEN list(r.stock_code ORDER BY place DESC)[1:5] END AS last_products,
    max(unit_price_gbp) FILTER (country = 'United Kingdom') AS dearest
FROM labels AS l JOIN kept AS r USING (customer_id)
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE product_sales AS
WITH asked AS (SELECT label, floor_to(at_us, minutes(15)) AS at_us, stock_code FROM labels)
SELECT label,
    sum(quantity) FILTER (in_sliding(t, at_us, days(7), days(1)))::BIGINT AS quantity_7d,
    sum(quantity) FILTER (in_hopping(t, at_us, days(7), days(7), moved := days(4)))::BIGINT AS quantity_week,
    sum(pence) FILTER (in_hopping(t, at_us, days(28), days(7), moved := days(4)))::BIGINT AS pence_28d,
    arg_max_null(unit_price_gbp, place) AS price,
    arg_max_null(description[1:12], place) AS name,
    min(unit_price_gbp) FILTER (in_sliding(t, at_us, days(28), days(1))) AS price_min_28d,
    ranked(list(unit_price_gbp) FILTER (in_sliding(t, at_us, days(28), days(1))), 0.5) AS price_p50_28d,
    count(DISTINCT customer_id) FILTER (in_sliding(t, at_us, days(28), days(1))) AS customers_28d,
    count(DISTINCT customer_id) AS customers_approx,
    count(customer_id) AS known_customer
FROM asked JOIN kept USING (stock_code)
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE basket_now AS
SELECT label,
    count(*) AS times,
    sum(quantity)::BIGINT AS quantity,
    arg_max_null(quantity, place) AS last_quantity,
    var_samp(quantity) AS quantity_variance
FROM labels JOIN kept USING (customer_id, stock_code)
WHERE k < at_us GROUP BY label, at_us;

-- No window here reaches further back than two days.
CREATE TABLE shop AS
WITH asked AS (
    SELECT label, at_us FROM labels WHERE at_us > (SELECT min(k) FROM kept)
), inside AS (
    SELECT label,
        sum(pence) FILTER (in_hopping(t, at_us, days(1), days(1)))::BIGINT AS pence_yesterday,
        count(*) FILTER (in_sliding(t, at_us, hours(1), minutes(1))) AS lines_1h,
        count(DISTINCT customer_id) FILTER (in_sliding(t, at_us, days(1), hours(1))) AS customers_1d,
        count(*) FILTER (customer_id IS NULL AND in_sliding(t, at_us, days(1), hours(1))) AS without_customer_1d
    FROM asked JOIN kept ON k < at_us AND t >= at_us - days(2)
    GROUP BY label, at_us
)
SELECT label, pence_yesterday, coalesce(lines_1h, 0) AS lines_1h, coalesce(customers_1d, 0) AS customers_1d,
    coalesce(without_customer_1d, 0) AS without_customer_1d
FROM asked LEFT JOIN inside USING (label);
