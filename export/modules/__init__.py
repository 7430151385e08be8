"""Live modules of other frameworks as float networks, each proven equal to the module's own spikes."""
