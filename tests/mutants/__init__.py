"""Mutation testing of the modules that keep the promises: `python -m tests.mutants [module ...]`.

    targets.py      which modules, and which tests judge them
    statements.py   the mutants of a file, with expressions.py, patterns.py (regular expressions), swaps.py
    edit.py         one mutant
    sandbox.py      a process of its own for a mutant that an import meets
    nest.py         many mutants of function bodies in one process
    libraries.py    what these processes share
    campaign.py     which tests each mutant meets, and what became of it
    report.py       shares, the list of survivors, what fails the command
    survivors.toml  the mutants that live, each with the reason

mutmut (3.8) was tried first. It is well kept and fast, but mutates the bodies of functions only; half of what
decides here is in regular expressions and tables of a module, and it names mutants by their number, so that
an explanation does not outlive an edit. cosmic-ray (8.7) starts a process of Python and pytest for each
mutant, which takes hours here, and mutates no text, pattern or table either.
"""
