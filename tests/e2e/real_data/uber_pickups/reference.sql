CREATE TABLE judged AS
SELECT *, epoch_us(timezone('America/New_York', pickup_datetime)) AS t, list_filter([
    CASE WHEN lat NOT BETWEEN 40.4 AND 41.1 THEN 'lat between 40.4 and 41.1' END,
    CASE WHEN lon NOT BETWEEN -74.3 AND -73.5 THEN 'lon between -74.3 and -73.5' END,
    CASE WHEN NOT regexp_full_match(base, 'B[0-9]{5}') THEN 'base matches B\d{5}' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM raw;

-- Rows of one minute are in the order of their numbers.
CREATE TABLE kept AS
SELECT *, t + minutes(15) AS k, row_number() OVER (ORDER BY t, source_row) AS place,
    floor(lat * 100)::BIGINT AS lat_cell, floor(lon * 100)::BIGINT AS lon_cell
FROM judged WHERE len(reasons) = 0
QUALIFY row_number() OVER (PARTITION BY t, lat, lon, base ORDER BY rn) = 1;

CREATE TABLE labels AS
WITH picked AS (
    SELECT *, row_number() OVER (ORDER BY shuffled(rn), rn) - 1 AS label FROM kept
    QUALIFY label < getvariable('n_labels')
), timed AS (
    SELECT *, CASE label % 10
        WHEN 0 THEN k
        WHEN 1 THEN k + 1
        WHEN 2 THEN floor_to(t, minutes(5)) + minutes(65)
        WHEN 3 THEN floor_to(t, minutes(5)) + minutes(65) - 1
        WHEN 4 THEN floor_to(k, minutes(5)) + minutes(5)
        WHEN 5 THEN floor_to(t, days(1), moved := hours(4)) + days(1) + shuffled(rn) % 2 - 1
        WHEN 6 THEN t + hours(1)
        WHEN 7 THEN t + hours(1) + 1
        WHEN 8 THEN t + shuffled(rn * 7) % hours(30)
        ELSE t - shuffled(rn * 7) % hours(30)
    END AS at_us
    FROM picked
)
SELECT label, least(greatest(at_us, (SELECT floor_to(min(k), days(1)) FROM kept)), getvariable('end_at') - 1) AS at_us, base, lat_cell, lon_cell
FROM timed;

-- A base has far more rows than a label's windows: counts are taken minute by minute. No window reaches
-- further back than 15 days, nor one that needs the rows than 26 hours.
CREATE TABLE base_demand AS
WITH minutely AS (
    SELECT base, t, k, count(*) AS n FROM kept GROUP BY base, t, k
), counted AS (
    SELECT label,
        sum(n) FILTER (in_sliding(t, at_us, hours(1), minutes(5))) AS pickups_1h,
        sum(n) FILTER (in_hopping(t, at_us, days(1), days(1), moved := hours(4))) AS pickups_yesterday,
        sum(n) FILTER (in_hopping(t, at_us, days(7), days(7), moved := days(4) + hours(4))) AS pickups_last_week
    FROM labels JOIN minutely USING (base)
    WHERE k < at_us AND t >= at_us - days(15) GROUP BY label, at_us
), inside AS (
    SELECT label,
        stddev_samp(lat) FILTER (in_sliding(t, at_us, hours(6), hours(1))) AS lat_stddev_6h,
        avg(lon) FILTER (in_sliding(t, at_us, hours(6), hours(1))) AS lon_mean_6h,
        ranked(list(lat) FILTER (in_hopping(t, at_us, hours(3), hours(1))), 0.5) AS lat_p50_3h,
        list(lon ORDER BY place DESC) FILTER (in_sliding(t, at_us, hours(1), minutes(10)))[1:4] AS last_lons,
        arg_min_null(source_row, place) FILTER (in_sliding(t, at_us, days(1), hours(1))) AS first_row_1d
    FROM labels JOIN kept USING (base)
    WHERE k < at_us AND t >= at_us - hours(26) GROUP BY label, at_us
), last_rows AS (
    SELECT labels.label, kept.lat AS last_lat
    FROM labels ASOF JOIN (
        SELECT * FROM kept QUALIFY row_number() OVER (PARTITION BY base, k ORDER BY place DESC) = 1
    ) AS kept ON labels.base = kept.base AND labels.at_us > kept.k
)
SELECT label, coalesce(pickups_1h, 0) AS pickups_1h, coalesce(pickups_yesterday, 0) AS pickups_yesterday,
    coalesce(pickups_last_week, 0) AS pickups_last_week, lat_stddev_6h, lon_mean_6h, lat_p50_3h, last_lat, last_lons,
    first_row_1d
FROM last_rows LEFT JOIN counted USING (label) LEFT JOIN inside USING (label);

-- What is known at a whole five minutes holds for them; its age is that at the asked time.
CREATE TABLE cell_demand AS
WITH asked AS (SELECT label, at_us, floor_to(at_us, minutes(5)) AS upto, lat_cell, lon_cell FROM labels)
SELECT label,
    count(*) AS pickups,
    count(*) FILTER (in_hopping(t, upto, minutes(30), minutes(10))) AS pickups_30m,
    count(DISTINCT base) AS bases,
    count(DISTINCT base) FILTER (in_hopping(t, upto, hours(1), hours(1))) AS bases_1h,
    CASE WHEN at_us - max(t) <= hours(1) THEN arg_max_null(base, place) END AS last_base,
    CASE WHEN at_us - max(t) <= hours(1) THEN arg_max_null(source_row, place) FILTER (base = 'B02598') END
        AS last_row,
    arg_min_null(timezone('America/New_York', pickup_datetime), place) AS first_pickup,
    max(lon) FILTER (in_sliding(t, upto, hours(2), minutes(20))) AS lon_max_2h,
    min(lat) FILTER (in_sliding(t, upto, hours(2), minutes(20))) AS lat_min_2h,
    sum(source_row)::BIGINT AS row_sum
FROM asked JOIN kept USING (lat_cell, lon_cell)
WHERE k < upto GROUP BY label, at_us, upto;

-- No window here reaches further back than two hours.
CREATE TABLE city_demand AS
WITH asked AS (
    SELECT label, floor_to(at_us, minutes(1)) AS upto FROM labels WHERE upto > (SELECT min(k) FROM kept)
), inside AS (
    SELECT label,
        count(*) FILTER (in_hopping(t, upto, hours(1), hours(1))) AS pickups_1h,
        count(DISTINCT lat_cell * 100000 + lon_cell) FILTER (in_sliding(t, upto, hours(1), minutes(10))) AS cells_1h,
        stddev_samp(lat) FILTER (in_sliding(t, upto, hours(1), minutes(10))) AS lat_stddev_1h
    FROM asked JOIN kept ON k < upto AND t >= upto - hours(2)
    GROUP BY label, upto
)
SELECT label, coalesce(pickups_1h, 0) AS pickups_1h, coalesce(cells_1h, 0) AS cells_approx_1h,
    coalesce(cells_1h, 0) AS cells_1h, lat_stddev_1h
FROM asked LEFT JOIN inside USING (label);
