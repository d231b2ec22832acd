"""Stages as processes: started, watched and ended, alone in a project."""
