"""A client of the predecessor's, with its habits: the standard library, JSON that is read and then read again.

Reads a list of [method, path, body, habit] from standard input and asks one after another at the address that is its
argument. Habits: "json" reads the answer once, "twice" reads the JSON within the string that it is, "text" leaves it.
Writes what it got as a list of {status, type, text, value}.
"""

import json
import os
import sys
import urllib.error
import urllib.request

URL = sys.argv[1]
TOKEN = os.environ.get('MAO_TEST_TOKEN')


def ask(method, path, body, habit):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    if data is not None:
        request.add_header('Content-Type', 'application/json')
    if TOKEN:
        request.add_header('Authorization', 'Bearer ' + TOKEN)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return told(response.status, response.headers, response.read().decode(), habit)
    except urllib.error.HTTPError as error:
        return told(error.code, error.headers, error.read().decode(), 'json')


def told(status, headers, text, habit):
    value = None if habit == 'text' else json.loads(text)
    if habit == 'twice':
        value = json.loads(value)
    return {'status': status, 'type': headers.get('Content-Type'), 'text': text, 'value': value}


print(json.dumps([ask(*each) for each in json.load(sys.stdin)]))
