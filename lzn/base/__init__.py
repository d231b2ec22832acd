"""What every package of the library uses: typed sections, files, random numbers, processes. It imports none of them.

`sections`: typed, frozen parts of params.yaml. `files`: JSON and weights, which appear when they are whole.
`randomness`: seeds and generators derived from names. `parallel`: processes that compute one batch together.
`nested`: nested mappings as flat ones. `number_format`: numbers as text for people.
"""
