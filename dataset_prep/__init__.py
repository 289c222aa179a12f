"""Converters from raw interaction logs to RecBole atomic files; each module is a script as well."""
