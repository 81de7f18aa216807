"""What a run will cost and whether it can certify what is asked, before anything is trained."""
