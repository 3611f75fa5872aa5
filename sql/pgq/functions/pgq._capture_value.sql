-- What generated capture wraps around a column, by the kind of type it had when the code was written.
--
-- Which of the overloads is meant, PostgreSQL decides anew whenever it plans the expression; altering a table
-- makes it plan again.  So a column that was a number and is a text now can never be written without escaping: the last form of each
-- is chosen, and raises.  All others are put in place by the planner and cost nothing.  A user's cast is never an alternative,
-- since anyelement always matches too and neither is better.

create or replace function pgq._capture_plain(int2) returns int2 language sql immutable as 'select $1';
create or replace function pgq._capture_plain(int4) returns int4 language sql immutable as 'select $1';
create or replace function pgq._capture_plain(int8) returns int8 language sql immutable as 'select $1';
create or replace function pgq._capture_plain(numeric) returns numeric language sql immutable as 'select $1';
create or replace function pgq._capture_plain(bool) returns bool language sql immutable as 'select $1';
create or replace function pgq._capture_plain(uuid) returns uuid language sql immutable as 'select $1';
create or replace function pgq._capture_plain(jsonb) returns jsonb language sql immutable as 'select $1';
create or replace function pgq._capture_plain(anyelement) returns text language sql immutable as 'select pgq._capture_changed()';

create or replace function pgq._capture_time(date) returns date language sql immutable as 'select $1';
create or replace function pgq._capture_time(time) returns time language sql immutable as 'select $1';
create or replace function pgq._capture_time(timetz) returns timetz language sql immutable as 'select $1';
create or replace function pgq._capture_time(timestamp) returns timestamp language sql immutable as 'select $1';
create or replace function pgq._capture_time(timestamptz) returns timestamptz language sql immutable as 'select $1';
create or replace function pgq._capture_time(anyelement) returns text language sql immutable as 'select pgq._capture_changed()';

create or replace function pgq._capture_float(float4) returns float4 language sql immutable as 'select $1';
create or replace function pgq._capture_float(float8) returns float8 language sql immutable as 'select $1';
create or replace function pgq._capture_float(anyelement) returns text language sql immutable as 'select pgq._capture_changed()';

create or replace function pgq._capture_bytes(bytea) returns bytea language sql immutable as 'select $1';
create or replace function pgq._capture_bytes(anyelement) returns text language sql immutable as 'select pgq._capture_changed()';

create or replace function pgq._capture_text(text) returns text language sql immutable as 'select $1';
create or replace function pgq._capture_text(anyelement) returns text language sql immutable as 'select pgq._capture_changed()';
