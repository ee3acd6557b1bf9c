"""Raw mobility to edges: read, judged, gridded and added up by the tasks, all at once or by dated files."""
