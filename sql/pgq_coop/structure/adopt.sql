-- An installation made by CREATE EXTENSION pgq_coop is taken over: ../release_extension.sql does it.
set skytools.module = 'pgq_coop';
