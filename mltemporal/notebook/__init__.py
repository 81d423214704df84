"""What a person sees in a notebook: the extension, the magics and the live panel of a job."""
