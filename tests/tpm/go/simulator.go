// SPDX-License-Identifier: MIT

// Package simulator stands in for the package of that name that go-tpm's tests open: each TPM is a vtpmd of its own.
package simulator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Simulator is a running vtpmd.
type Simulator struct {
	dir      string
	process  *exec.Cmd
	data     net.Conn
	response []byte
}

// Get starts a new TPM, powered on and started.
func Get() (*Simulator, error) {
	dir, err := os.MkdirTemp("", "vtpmd")
	if err != nil {
		return nil, err
	}
	s := &Simulator{dir: dir}
	s.process = exec.Command(os.Getenv("VTPMD"), "socket", "--tpm2", "--tpmstate", "dir="+dir+",sync=no",
		"--server", "type=unixio,path="+filepath.Join(dir, "data"),
		"--ctrl", "type=unixio,path="+filepath.Join(dir, "control"),
		"--flags", "not-need-init,startup-clear")
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s.data, err = net.Dial("unix", filepath.Join(dir, "data")); err == nil {
			return s, nil
		}
		if time.Now().After(deadline) {
			s.Close()
			return nil, err
		}
	}
}

// GetWithFixedSeedInsecure starts a new TPM; its seeds are as random as ever.
func GetWithFixedSeedInsecure(int64) (*Simulator, error) {
	return Get()
}

// Write takes a command and runs it.
func (s *Simulator) Write(command []byte) (int, error) {
	if _, err := s.data.Write(command); err != nil {
		return 0, err
	}
	header := make([]byte, 10)
	if _, err := io.ReadFull(s.data, header); err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint32(header[2:])
	if size < 10 || size > 1<<16 {
		return 0, fmt.Errorf("a response of %d bytes", size)
	}
	s.response = append(header, make([]byte, size-10)...)
	_, err := io.ReadFull(s.data, s.response[10:])
	return len(command), err
}

// Read gives the response to the last command.
func (s *Simulator) Read(response []byte) (int, error) {
	if s.response == nil {
		return 0, errors.New("no command was written")
	}
	n := copy(response, s.response)
	s.response = nil
	return n, nil
}

// Close ends the TPM, its state too.
func (s *Simulator) Close() error {
	if s.data != nil {
		s.data.Close()
	}
	s.process.Process.Kill()
	s.process.Wait()
	return os.RemoveAll(s.dir)
}
