"""What every package of the library uses. It imports none of them.

Read in any order; only `randomness` needs another file, `parallel`:

- `sections`: parts of params.yaml as typed, frozen objects, with errors that name the key.
- `nested`: nested mappings as flat ones with dotted names.
- `number_format`: numbers as text for people.
- `files`: JSON files and weights, written atomically.
- `file_kinds`: what a file is, by its first bytes. `tensor_files`: files of tensors, read without executing code.
- `streams`: stdout and stderr that show every character.
- `devices`: the default device, and deterministic operations.
- `parallel`: several processes that train together, and each process's share of a batch.
- `randomness`: seeds and generators derived from names; random numbers of a batch, equal however it is shared.
"""
