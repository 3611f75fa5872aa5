-- An installation made by CREATE EXTENSION pgq_ext is taken over: ../release_extension.sql does it.
set skytools.module = 'pgq_ext';
