"""Everything that touches RecBole's seams."""
