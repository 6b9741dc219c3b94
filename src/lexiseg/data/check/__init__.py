"""`lexiseg data check`: each module checks one side of a data set; `dataset_check` puts them together."""
