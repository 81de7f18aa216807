"""What a schema cannot say of a configuration: names not defined, settings that do not fit."""
