-- octroi, schema version 4: periods that are paid for, payments of statements, bounded reads, sealed usages.
-- Every statement may be run again: an interrupted file is applied from its beginning.

-- ---- reads ----------------------------------------------------------------------------------------------

-- ---- plans and subscriptions ----------------------------------------------------------------------------

-- ---- payments, statements, orders -----------------------------------------------------------------------

-- ---- guard ----------------------------------------------------------------------------------------------

-- ---- journal, bonuses -----------------------------------------------------------------------------------

-- ---- end ------------------------------------------------------------------------------------------------

INSERT INTO schema_versions (version) VALUES (4);
