"""Letters: messages of applications, sent until they are there, kept until they are read."""
