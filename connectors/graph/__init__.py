"""Meta's Graph API, which Facebook, Instagram and Threads speak: questions, answers, refusals, budgets."""
