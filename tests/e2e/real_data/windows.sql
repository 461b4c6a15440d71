-- The words of the table of windows. Times are whole microseconds since 1970 UTC; that a row was known before the
-- asked time is a condition of each query, `k < at_us`.
CREATE MACRO seconds(n) AS n::BIGINT * 1000000;
CREATE MACRO minutes(n) AS n::BIGINT * 60000000;
CREATE MACRO hours(n) AS n::BIGINT * 3600000000;
CREATE MACRO days(n) AS n::BIGINT * 86400000000;
-- `moved` is where hops are counted from.
CREATE MACRO floor_to(x, hop, moved := 0) AS x - (x - moved) % hop;
CREATE MACRO in_sliding(t, at_us, size, hop, moved := 0) AS t >= floor_to(at_us - size, hop, moved := moved);
CREATE MACRO in_hopping(t, at_us, size, hop, moved := 0, delay := 0) AS
    t >= floor_to(at_us - delay, hop, moved := moved) - size AND t < floor_to(at_us - delay, hop, moved := moved);
-- The value of rank floor(q * (n - 1)).
CREATE MACRO ranked(vs, q) AS list_sort(vs)[floor(q * (len(vs) - 1))::BIGINT + 1];
-- The same numbers, in a disorder that every machine agrees on.
CREATE MACRO shuffled(n) AS (n * 2654435761) % 4294967296;
