"""How long a network will take to answer, predicted from the layers it is made of."""
