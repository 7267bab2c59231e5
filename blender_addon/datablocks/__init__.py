"""What Relievo's own datablocks look like: known to the readers, which recognise them, and to the writers, which make them."""
