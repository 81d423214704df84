"""Tables on their way from a notebook to a job: checked in the kernel, stored by content, loaded there."""
