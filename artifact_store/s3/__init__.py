"""S3 as this project needs it: typed operations, their form on the wire, and the one client that sends them."""
