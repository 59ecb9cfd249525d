"""What all trainings share: schedule, checkpoints, log, batches of like length."""
