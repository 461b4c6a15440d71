CREATE TABLE judged AS
SELECT * REPLACE (speed_mps::DOUBLE AS speed_mps), epoch_us(ping_ts) AS t, list_filter([
    CASE WHEN lat IS NULL THEN 'lat: null' END,
    CASE WHEN lon IS NULL THEN 'lon: null' END,
    CASE WHEN speed_mps IS NULL THEN 'speed_mps: null' END,
    CASE WHEN route_id IS NULL THEN 'route_id: null' END,
    CASE WHEN trip_id IS NULL THEN 'trip_id: null' END,
    CASE WHEN lat NOT BETWEEN 29.5 AND 31.0 THEN 'lat between 29.5 and 31.0' END,
    CASE WHEN lon NOT BETWEEN -98.5 AND -97.0 THEN 'lon between -98.5 and -97.0' END,
    CASE WHEN speed_mps NOT BETWEEN 0 AND 40 THEN 'speed_mps between 0 and 40' END
], lambda reason: reason IS NOT NULL) AS reasons
FROM raw;

-- Of two pings of a bus at the same instant, the one that came first stays: even rows came before odd ones.
CREATE TABLE kept AS
SELECT *, t AS k, floor(lat * 100)::BIGINT AS lat_cell, floor(lon * 100)::BIGINT AS lon_cell
FROM judged WHERE len(reasons) = 0
QUALIFY row_number() OVER (PARTITION BY vehicle_id, ping_ts ORDER BY rn % 2, rn) = 1;

-- At and around the instants at which a row, or a window's edge, makes a difference; and at any other.
CREATE TABLE labels AS
WITH picked AS (
    SELECT *, row_number() OVER (ORDER BY shuffled(rn), rn) - 1 AS label FROM kept
    QUALIFY label < getvariable('n_labels')
), timed AS (
    SELECT *, CASE label % 10
        WHEN 0 THEN k
        WHEN 1 THEN k + 1
        WHEN 2 THEN floor_to(t, minutes(1)) + minutes(11)
        WHEN 3 THEN floor_to(t, minutes(1)) + minutes(11) - 1
        WHEN 4 THEN floor_to(t, minutes(15)) + minutes(17)
        WHEN 5 THEN floor_to(t, minutes(30), moved := minutes(7)) + minutes(32) - 1
        WHEN 6 THEN t + minutes(10)
        WHEN 7 THEN t + minutes(10) + 1
        WHEN 8 THEN t + shuffled(rn * 7) % hours(8)
        ELSE t - shuffled(rn * 7) % hours(8)
    END AS at_us
    FROM picked
)
SELECT label, least(greatest(at_us, (SELECT floor_to(min(k), days(1)) FROM kept)), getvariable('end_at') - 1) AS at_us, vehicle_id, route_id, lat_cell, lon_cell FROM timed;

CREATE TABLE vehicle_now AS
SELECT label,
    CASE WHEN at_us - max(t) <= minutes(10) THEN arg_max_null(speed_mps, t) END AS last_speed,
    CASE WHEN at_us - max(t) <= minutes(10) THEN arg_max_null(r.route_id, t) END AS last_route,
    CASE WHEN at_us - max(t) <= minutes(10) THEN arg_max_null(trip_headsign, t) END AS last_headsign,
    CASE WHEN at_us - max(t) <= minutes(10) THEN arg_max(trip_headsign, t) END AS last_known_headsign,
    arg_min_null(trip_id, t) AS first_trip,
    CASE WHEN at_us - max(t) <= minutes(10) THEN list(trip_id ORDER BY t DESC)[1:3] END AS last_trips,
    count(*) AS pings,
    count(*) FILTER (in_sliding(t, at_us, minutes(10), minutes(1))) AS pings_10m,
    avg(speed_mps) FILTER (in_sliding(t, at_us, minutes(10), minutes(1))) AS speed_mean_10m,
    stddev_samp(speed_mps) FILTER (in_sliding(t, at_us, hours(1), minutes(5))) AS speed_stddev_1h,
    ranked(list(speed_mps) FILTER (in_sliding(t, at_us, hours(1), minutes(5))), 0.9) AS speed_p90_1h,
    max(speed_mps) FILTER (in_hopping(t, at_us, hours(1), minutes(15), delay := minutes(2))) AS speed_max_1h,
    min(lat) FILTER (in_hopping(t, at_us, hours(1), minutes(15), moved := minutes(4), delay := minutes(2)))
        AS lat_min_1h,
    count(*) FILTER (
        speed_mps > 1.0 AND in_hopping(t, at_us, minutes(30), minutes(30), moved := minutes(7), delay := minutes(2))
    ) AS moving_30m,
    arg_max_null(r.route_id, t) FILTER (speed_mps > 1.0 AND in_sliding(t, at_us, minutes(30), seconds(30)))
        AS last_moving_route,
    count(DISTINCT r.route_id) FILTER (
        in_hopping(t, at_us, days(1), days(1), moved := hours(10), delay := minutes(2))
    ) AS routes_of_day,
    count(DISTINCT trip_id) AS trips_approx
FROM labels JOIN kept AS r USING (vehicle_id)
WHERE k < at_us GROUP BY label, at_us;

CREATE TABLE on_route AS
SELECT label,
    count(*) AS pings,
    avg(speed_mps) AS speed_mean,
    arg_max_null(ping_ts, t) AS last_seen,
    count(DISTINCT trip_id) FILTER (in_sliding(t, at_us, hours(6), minutes(10))) AS trips_6h
FROM labels JOIN kept USING (vehicle_id, route_id)
WHERE k < at_us GROUP BY label, at_us;

-- What is known at a whole minute holds for that minute. Buses at the same instant are told apart by their number.
CREATE TABLE cell_now AS
WITH asked AS (SELECT label, floor_to(at_us, minutes(1)) AS at_us, lat_cell, lon_cell FROM labels)
SELECT label,
    count(*) FILTER (in_sliding(t, at_us, minutes(15), minutes(1))) AS pings_15m,
    avg(speed_mps) FILTER (in_sliding(t, at_us, minutes(15), minutes(1))) AS speed_mean_15m,
    count(DISTINCT vehicle_id) FILTER (in_hopping(t, at_us, hours(1), minutes(5), delay := minutes(2)))
        AS vehicles_1h,
    arg_max_null(vehicle_id, (t, vehicle_id)) AS last_vehicle
FROM asked JOIN kept USING (lat_cell, lon_cell)
WHERE k < at_us AND speed_mps > 0 GROUP BY label, at_us;
