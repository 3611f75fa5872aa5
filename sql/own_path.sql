-- The end of what pinned_path.sql has begun.
reset search_path;
