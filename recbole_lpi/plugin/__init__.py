"""Connect to RecBole: how it learns of the policies, its settings, data and models."""
