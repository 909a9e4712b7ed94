"""The mapping files that come with the bridge, found after those of the config folder."""
