"""What is not 'train and compare', one a module; each has `main()`, which writes its file of results/."""
