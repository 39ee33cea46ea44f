"""Tabular machine learning for the steps of this project: contract, recipe, search, gates, package.

The steps in the folder above parse arguments and call this library; nothing in here reads `sys.argv`.
Heavy libraries (polars, scikit-learn, MLflow, matplotlib) are imported where they are used, because the
scoring path (`contract`, `recipe`, `recipe_arrays`, `request`, `scoring`) must start without them.
"""
