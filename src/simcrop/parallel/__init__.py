"""Work spread over processes of this machine, or over a Ray cluster; a job that kills its worker costs itself only."""
