-- Which of an agent's processes took an assignment over last: its number, and the generation it found. Under that generation
-- processes with smaller numbers are not heard any more. 0: none has.
ALTER TABLE assignments ADD COLUMN taken_generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE assignments ADD COLUMN taken_by BIGINT NOT NULL DEFAULT 0;
