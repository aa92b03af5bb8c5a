/// The version of gloss: daemon, tool and schema are released together.
public let glossVersion = "0.1.0"
