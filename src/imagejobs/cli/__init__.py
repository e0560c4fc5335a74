"""The command `imagejobs`: arguments and printing.

main          the commands, each imported when it is called
up            everything in one go; supervisor and lifeline keep the processes, banner says what runs
service       api, worker, migrate
generate      pictures from a prompt; jobs lists, watches, retries, resolves; waiting, progress and advice are theirs
keys, projects, budgets, spend, verify  on the database itself
doctor        every check, with check_database, providers and storage; checklist goes on to a picture; findings tells them
home          the files of a data directory; remote and local find a service or a database from there
exits         exit codes, and which error ends how; logs is what the processes write to stderr
"""
