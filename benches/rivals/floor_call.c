/*
 * The least that any C-level `push_trade(symbol, ts_event, price, size)` must do: take the call as
 * METH_FASTCALL, convert the four arguments and keep what they say. Nothing is checked beyond their
 * types, nothing is aggregated. What a real call costs above this is the work it does.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static struct {
    char symbol[64];
    Py_ssize_t symbol_length;
    long long ts_event;
    double price;
    double size;
} kept;

static PyObject *push(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    (void)module;
    if (count != 4) {
        PyErr_Format(PyExc_TypeError, "push: got %zd arguments, expected 4", count);
        return NULL;
    }
    Py_ssize_t length;
    const char *symbol = PyUnicode_AsUTF8AndSize(arguments[0], &length);
    if (symbol == NULL)
        return NULL;
    if (length > (Py_ssize_t)sizeof kept.symbol) {
        PyErr_Format(PyExc_ValueError, "push: got a symbol of %zd bytes, expected at most %zu", length,
                     sizeof kept.symbol);
        return NULL;
    }
    long long ts_event = PyLong_AsLongLong(arguments[1]);
    if (ts_event == -1 && PyErr_Occurred())
        return NULL;
    double price = PyFloat_AsDouble(arguments[2]);
    if (price == -1.0 && PyErr_Occurred())
        return NULL;
    double size = PyFloat_AsDouble(arguments[3]);
    if (size == -1.0 && PyErr_Occurred())
        return NULL;
    memcpy(kept.symbol, symbol, (size_t)length);
    kept.symbol_length = length;
    kept.ts_event = ts_event;
    kept.price = price;
    kept.size = size;
    Py_RETURN_TRUE;
}

static PyObject *last(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("s#Ldd", kept.symbol, kept.symbol_length, kept.ts_event, kept.price, kept.size);
}

static PyMethodDef methods[] = {
    {"push", (PyCFunction)(void (*)(void))push, METH_FASTCALL, "push(symbol, ts_event, price, size) -> True"},
    {"last", last, METH_NOARGS, "What the last push kept, as a tuple."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "floor_call", "The cost of a C-level call with four arguments.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_floor_call(void)
{
    return PyModule_Create(&definition);
}
