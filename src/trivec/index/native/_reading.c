/* Reading many stretches of a file into one buffer, without the interpreter's lock: see
   trivec.index.native.token_reading. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* Read one stretch as a whole; 0, or -1 with errno, which is 0 where the file ends before. */
static int read_whole(int file, char *to, size_t length, off_t place)
{
    while (length > 0) {
        ssize_t got = pread(file, to, length, place);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got < 0 ? errno : 0;
            return -1;
        }
        to += got;
        place += got;
        length -= (size_t)got;
    }
    return 0;
}

static PyObject *reading_gather(PyObject *self, PyObject *args)
{
    Py_buffer places, lengths, out;
    PyObject *result = NULL;
    int file, failed = 0, reason = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "iy*y*w*", &file, &places, &lengths, &out))
        return NULL;
    const int64_t *place = places.buf, *length = lengths.buf;
    int64_t count = places.len / 8, left = out.len;
    int fits = places.len == lengths.len;
    for (int64_t i = 0; fits && i < count; i++) {
        fits = place[i] >= 0 && length[i] >= 0 && length[i] <= left;
        left -= length[i];
    }
    if (!fits || left != 0) {
        PyErr_SetString(PyExc_ValueError, "places and lengths do not fit the buffer");
        goto release;
    }
    Py_BEGIN_ALLOW_THREADS
    char *to = out.buf;
    for (int64_t i = 0; i < count && !failed; to += length[i], i++)
        failed = read_whole(file, to, (size_t)length[i], (off_t)place[i]) != 0;
    reason = errno;
    Py_END_ALLOW_THREADS
    if (failed && reason) {
        errno = reason;
        PyErr_SetFromErrno(PyExc_OSError);
    } else if (failed)
        PyErr_SetString(PyExc_ValueError, "the file ends before the last byte asked for");
    else
        result = Py_NewRef(Py_None);
release:
    PyBuffer_Release(&places);
    PyBuffer_Release(&lengths);
    PyBuffer_Release(&out);
    return result;
}

static PyMethodDef methods[] = {
    {"gather", reading_gather, METH_VARARGS, "gather(file, places, lengths, out)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_reading",
                                    "Reading stretches of a file. Called by trivec.index.native.token_reading.", -1,
                                    methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__reading(void)
{
    return PyModule_Create(&module);
}
