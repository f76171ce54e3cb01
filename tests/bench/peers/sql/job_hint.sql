-- Tells the workers to look for what is due.
SELECT pg_notify('udm_run', '')
