# Measuring programs: built by make bench only.
