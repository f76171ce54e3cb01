-- Recurring jobs: when their schedule was accepted, and what a moving window waits for.

SET LOCAL ROLE udm_owner;

ALTER TABLE udm.job ADD COLUMN schedule_since timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN udm.job.schedule_since IS
    'When the schedule was accepted: the startDate of a recurrence that names none. A PUT sets it.';

ALTER TABLE udm.run ADD COLUMN settle_barrier text, ADD COLUMN settle_since timestamptz;
COMMENT ON COLUMN udm.run.settle_barrier IS
    'Transaction id in the source: a moving window is read once all that were given a lower one are '
    'over, so that no row which is stamped inside the window is committed after it was read.';

RESET ROLE;
