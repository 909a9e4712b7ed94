-- What is known of a document that the source delivers by its own means, as JSON.
ALTER TABLE deliveries ADD COLUMN watch TEXT;
