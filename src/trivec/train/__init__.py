"""Training encoders and cross-encoders: what they give with gradient, how that is scored, and what is minimised.

The modules here need torch. Import them by name, so that the rest of the package stays free of it.
"""
