-- An installation made by CREATE EXTENSION londiste is taken over: ../release_extension.sql does it.
set skytools.module = 'londiste';
