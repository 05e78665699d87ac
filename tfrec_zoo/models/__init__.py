"""Models, one a paper: preprocessing, backbone, objective, and how it scores."""
