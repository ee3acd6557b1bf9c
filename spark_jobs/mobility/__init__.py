"""Raw mobility to edges: read, validated, gridded and added up by the tasks, all at once or by files of a day each."""
