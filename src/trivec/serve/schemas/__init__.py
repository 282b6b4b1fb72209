"""What requests and responses look like, one dialect a file. The descriptions stand in the OpenAPI document."""
