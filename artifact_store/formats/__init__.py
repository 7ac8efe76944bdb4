"""What model files say of themselves, read without trusting them: one format a module, `checks` chooses by name.

Empty on purpose: most commands read no file, and loading every format takes time.
"""
