"""One file a claim: each benchmark checks a quality gate, then times this project against a peer."""
