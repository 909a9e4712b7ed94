"""Microsoft Entra ID: access tokens for the outside systems that ask for them."""
