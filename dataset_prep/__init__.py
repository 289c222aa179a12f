"""Converters from raw interaction logs to RecBole's atomic files, and what they share.

retailrocket, yoochoose, netflix, movielens and csv are converters, and scripts as well.
"""
