CREATE MACRO new_york(x) AS epoch_us(timezone('America/New_York', x));

CREATE TABLE judged AS
SELECT *, new_york(pickup_datetime) AS t, list_filter([
    CASE WHEN fare_amount IS NULL THEN 'fare_amount: null' END,
    CASE WHEN trip_distance IS NULL THEN 'trip_distance: null' END,
    CASE WHEN NOT (pickup_datetime >= TIMESTAMP '2018-01-01' AND pickup_datetime <= TIMESTAMP '2020-12-31 23:59:59')
        THEN 'pickup_datetime between 2018-01-01T00:00:00-05:00 and 2020-12-31T23:59:59-05:00' END,
    CASE WHEN new_york(pickup_datetime) > new_york(dropoff_datetime) + minutes(1)
        THEN 'pickup_datetime: later than its arrival' END,
    CASE WHEN fare_amount NOT BETWEEN 0 AND 1000 THEN 'fare_amount between 0 and 1000' END,
    CASE WHEN trip_distance NOT BETWEEN 0 AND 200 THEN 'trip_distance between 0 and 200' END,
    CASE WHEN passenger_count NOT BETWEEN 0 AND 6 THEN 'passenger_count between 0 and 6' END,
    CASE WHEN rate_code_id NOT IN (1, 2, 3, 4, 5, 6) THEN 'rate_code_id in [1, 2, 3, 4, 5, 6]' END,
    CASE WHEN store_and_fwd_flag NOT IN ('N', 'Y') THEN 'store_and_fwd_flag in [''N'', ''Y'']' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM raw;

-- a is when the trip ended and its meter had sent it, and for today's best truth when it began. Trips that began at one
-- instant are in the order of a, then of the columns that identify them.
CREATE TABLE kept AS
SELECT *, CASE WHEN getvariable('known') = 'now' THEN t ELSE new_york(dropoff_datetime) + minutes(10) END AS a,
    greatest(t, a) AS k,
    row_number() OVER (ORDER BY t, a, dropoff_datetime, pickup_location_id, dropoff_location_id, total_amount) AS place,
    pickup_location_id AS pickup_zone, dropoff_location_id AS dropoff_zone,
    round(total_amount * 100)::BIGINT AS total_cents,
    (new_york(dropoff_datetime) - t) // 1000000 AS trip_seconds
FROM judged WHERE len(reasons) = 0
QUALIFY row_number() OVER (
    PARTITION BY pickup_datetime, dropoff_datetime, pickup_location_id, dropoff_location_id, total_amount ORDER BY rn
) = 1;

-- The list of a day is known from half past two in the night after it; a zone that the next one lacks has ended then.
CREATE TABLE listed AS
WITH known AS (
    SELECT day, new_york((day + 1)::TIMESTAMP) - 1 + CASE WHEN getvariable('known') = 'now' THEN 0 ELSE minutes(150) END
        AS k
    FROM (VALUES (DATE '2017-12-31'), (DATE '2019-06-30')) AS lists(day)
), spans AS (
    SELECT day, k, lead(k, 1, days(100000)) OVER (ORDER BY day) AS ended FROM known
)
SELECT * FROM spans, read_parquet(getvariable('folder') || '/taxi_zone_lookup.parquet')
WHERE day = DATE '2017-12-31' OR borough <> 'Unknown';

CREATE TABLE labels AS
WITH picked AS (
    SELECT *, row_number() OVER (ORDER BY shuffled(rn), rn) - 1 AS label FROM kept
    QUALIFY label < getvariable('n_labels')
), timed AS (
    SELECT *, CASE WHEN label % 32 = 6  -- the second list, which has no borough 'Unknown' any more
        THEN (SELECT max(k) FROM listed) + [-1, 0, 1, -minutes(150), 1 - minutes(150)][1 + label // 32 % 5]
        ELSE CASE label % 10
        WHEN 0 THEN k
        WHEN 1 THEN k + 1
        WHEN 2 THEN floor_to(t, minutes(5)) + days(1) + minutes(5)
        WHEN 3 THEN floor_to(t, minutes(5)) + days(1) + minutes(5) - 1
        WHEN 4 THEN floor_to(t, hours(1)) + days(7) + hours(1)
        WHEN 5 THEN floor_to(t, days(1), moved := hours(5)) + days(1) + shuffled(rn) % 2 - 1
        WHEN 6 THEN t + days(30)
        WHEN 7 THEN t + days(30) + 1
        WHEN 8 THEN t + shuffled(rn * 7) % hours(900)
        ELSE t - shuffled(rn * 7) % hours(900)
    END END AS at_us
    FROM picked
)
SELECT label, least(greatest(at_us, (SELECT floor_to(min(k), days(1)) FROM kept)), getvariable('end_at') - 1) AS at_us,
    pickup_zone, dropoff_zone,
    ['Bronx', 'Brooklyn', 'EWR', 'Manhattan', 'Queens', 'Staten Island', 'Unknown', 'Jersey'][1 + label % 8] AS borough
FROM timed;

CREATE TABLE pickup_demand AS
SELECT label,
    count(*) FILTER (in_sliding(t, at_us, days(1), minutes(5))) AS trips_1d,
    sum(total_cents)::BIGINT AS cents,
    sum(total_cents) FILTER (in_sliding(t, at_us, days(7), hours(1)))::BIGINT AS cents_7d,
    avg(fare_amount) AS fare_mean,
    stddev_samp(fare_amount) FILTER (in_sliding(t, at_us, days(7), hours(1))) AS fare_stddev_7d,
    ranked(list(tip_amount) FILTER (in_sliding(t, at_us, days(14), days(1))), 0.75) AS tip_p75_14d,
    min(trip_distance) FILTER (trip_distance > 0 AND in_hopping(t, at_us, days(3), days(1), moved := hours(5)))
        AS distance_min_3d,
    max(trip_distance) FILTER (in_hopping(t, at_us, days(3), days(1), moved := hours(5))) AS distance_max_3d,
    sum(passenger_count) FILTER (in_hopping(t, at_us, days(30), days(30)))::BIGINT AS passengers_30d,
    count(congestion_surcharge) AS surcharged,
    count(*) FILTER (payment_type = 2 AND in_sliding(t, at_us, days(7), days(1))) AS cash_7d,
    avg(trip_seconds) FILTER (in_sliding(t, at_us, days(7), hours(1))) AS seconds_mean_7d,
    max(trip_seconds) AS longest_seconds,
    count(DISTINCT r.dropoff_zone) FILTER (in_sliding(t, at_us, days(30), days(1))) AS goals_30d,
    count(DISTINCT r.dropoff_zone) AS goals_approx
FROM labels AS l JOIN kept AS r ON r.pickup_zone = l.pickup_zone
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE route_now AS
SELECT label,
    count(*) AS trips,
    CASE WHEN at_us - max(t) <= days(30) THEN arg_max_null(fare_amount, place) END AS last_fare,
    CASE WHEN at_us - max(t) <= days(30) THEN arg_max_null(store_and_fwd_flag, place) END AS last_flag,
    CASE WHEN at_us - max(t) <= days(30) THEN arg_max_null(fare_amount, place) FILTER (payment_type = 2) END
        AS last_cash_fare,
    to_timestamp(min(t) / 1e6) AS first_pickup,
    CASE WHEN at_us - max(t) <= days(30) THEN list(fare_amount ORDER BY place DESC)[1:3] END AS last_fares,
    avg(fare_amount) FILTER (in_sliding(t, at_us, days(90), days(1))) AS fare_mean_90d
FROM labels JOIN kept USING (pickup_zone, dropoff_zone)
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE pickup_name AS
SELECT label, any_value(r.borough) FILTER (at_us <= ended) AS borough, any_value(r.zone) FILTER (at_us <= ended) AS zone
FROM labels AS l JOIN listed AS r ON r.location_id = l.pickup_zone
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE dropoff_name AS
SELECT label, any_value(r.borough) FILTER (at_us <= ended) AS borough, any_value(r.zone) FILTER (at_us <= ended) AS zone
FROM labels AS l JOIN listed AS r ON r.location_id = l.dropoff_zone
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE borough_zones AS
SELECT label,
    count(*) FILTER (at_us <= ended) AS zones,
    count(DISTINCT zone) FILTER (at_us <= ended) AS names,
    min(location_id) FILTER (at_us <= ended) AS least_id
FROM labels JOIN listed USING (borough)
WHERE k < at_us GROUP BY label, at_us;
